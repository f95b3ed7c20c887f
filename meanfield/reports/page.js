"use strict";
// What moves on a report: scenes with a slider of time, and curves. The numbers are in the element
// "data"; nothing is asked of any server.
(function () {
  const TYPES = { f4: Float32Array, f8: Float64Array, i4: Int32Array, i1: Int8Array };
  const MOST_SCENES = 6;
  const RING = "#ff4fa3", RADIUS = 0.1, RAISED = 1.02;
  const SMALL = { displaylogo: false, responsive: true };
  const data = JSON.parse(document.getElementById("data").textContent);

  function decode(stored) {
    const text = atob(stored.bdata);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new TYPES[stored.dtype](bytes.buffer);
  }

  // Every step-th number from a first one on.
  function column(values, first, step) {
    const out = new Float32Array(values.length / step);
    for (let i = 0; i < out.length; i++) out[i] = values[first + i * step];
    return out;
  }

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    const lines = of("--lines").split(" ");
    return { lines, ink: of("--ink"), line: of("--line"), paper: of("--paper"), faint: of("--faint") };
  }

  function failed(element, error) {
    element.classList.add("failed");
    element.textContent = "This browser cannot draw it: " + error.message;
  }

  // ---------------------------------------------------------------- scenes

  function surface(scene) {
    const points = decode(scene.points), cells = decode(scene.cells);
    return {
      type: "mesh3d",
      x: column(points, 0, 3), y: column(points, 1, 3), z: column(points, 2, 3),
      i: Array.from(column(cells, 0, 3)), j: Array.from(column(cells, 1, 3)),
      k: Array.from(column(cells, 2, 3)),
      intensity: [], colorscale: "Viridis", cmin: scene.limits[0], cmax: scene.limits[1],
      flatshading: false, lighting: { ambient: 0.75, diffuse: 0.45, specular: 0.05 },
      colorbar: bar(scene), hovertemplate: "log₁₀ ρ = %{intensity:.3f}<extra></extra>",
    };
  }

  function bar(scene) {
    return { title: { text: "log₁₀ ρ" }, thickness: 14, len: 0.8, x: 1.0, xpad: 4,
             tickvals: scene.ticks, ticktext: scene.ticks.map((v) => String(v).replace("-", "−")) };
  }

  function curve(scene) {
    const points = decode(scene.points);
    return {
      type: "scatter3d", mode: "lines", x: column(points, 0, 2), y: column(points, 1, 2), z: [],
      line: { width: 6, color: [], colorscale: "Viridis", cmin: scene.limits[0],
              cmax: scene.limits[1], colorbar: bar(scene) },
      hovertemplate: "log₁₀ ρ = %{z:.3f}<extra></extra>",
    };
  }

  function unitCircle() {
    const x = [], y = [], z = [];
    for (let i = 0; i <= 120; i++) {
      x.push(Math.cos(i * Math.PI / 60)); y.push(Math.sin(i * Math.PI / 60)); z.push(0);
    }
    return { type: "scatter3d", mode: "lines", x: x, y: y, z: z, hoverinfo: "skip",
             line: { width: 2, color: "#8a939c" } };
  }

  // Lines every 30 degrees, a little above the sphere.
  function graticule(radius, color) {
    const x = [], y = [], z = [];
    const add = (theta, phi) => {
      x.push(radius * Math.sin(theta) * Math.cos(phi));
      y.push(radius * Math.sin(theta) * Math.sin(phi));
      z.push(radius * Math.cos(theta));
    };
    for (let a = 1; a < 6; a++) {
      for (let i = 0; i <= 144; i++) add(a * Math.PI / 6, i * Math.PI / 72);
      x.push(null); y.push(null); z.push(null);
    }
    for (let a = 0; a < 12; a++) {
      for (let i = 0; i <= 72; i++) add(i * Math.PI / 72, a * Math.PI / 6);
      x.push(null); y.push(null); z.push(null);
    }
    return { type: "scatter3d", mode: "lines", x: x, y: y, z: z, hoverinfo: "skip",
             line: { width: 1, color: color } };
  }

  function cloud(scene) {
    return { type: "scatter3d", mode: "markers", x: [], y: [], z: [],
             marker: { size: scene.size, color: [] },
             hovertemplate: "%{x:.3f}, %{y:.3f}, %{z:.3f}<extra></extra>" };
  }

  function rings() {
    return { type: "scatter3d", mode: "lines", x: [], y: [], z: [], text: [],
             line: { width: 5, color: RING }, hovertemplate: "%{text}<extra></extra>" };
  }

  function dots() {
    return { type: "scatter3d", mode: "markers", x: [], y: [], z: [],
             marker: { size: 5, color: RING }, hoverinfo: "skip" };
  }

  // Circles round centres, a little above the sphere: no part of them is behind it.
  function circles(scene, k) {
    const centres = decode(scene.rings[k]), masses = decode(scene.ringed[k]);
    const x = [], y = [], z = [], text = [];
    for (let c = 0; c < masses.length; c++) {
      const [a, b, e] = centres.subarray(3 * c, 3 * c + 3);
      const flat = Math.hypot(a, b);
      const right = flat > 1e-6 ? [-b / flat, a / flat, 0] : [1, 0, 0];
      const up = [b * right[2] - e * right[1], e * right[0] - a * right[2], a * right[1] - b * right[0]];
      for (let i = 0; i <= 60; i++) {
        const s = i * Math.PI / 30;
        const at = [a, b, e].map((v, m) => RAISED * (Math.cos(RADIUS) * v
          + Math.sin(RADIUS) * (Math.cos(s) * right[m] + Math.sin(s) * up[m])));
        x.push(at[0]); y.push(at[1]); z.push(at[2]);
        text.push((100 * masses[c]).toFixed(0) + " % of the mass inside");
      }
      x.push(null); y.push(null); z.push(null); text.push("");
    }
    return { x: [x], y: [y], z: [z], text: [text] };
  }

  // Numbers of trace 0 at one time, as a restyle of it.
  function frame(scene, k) {
    if (scene.kind === "tokens") {
      const points = decode(scene.frames[k]), labels = decode(scene.colours[k]);
      return { x: [column(points, 0, 3)], y: [column(points, 1, 3)], z: [column(points, 2, 3)],
               "marker.color": [Array.from(labels, (c) => c < 0 ? "#9aa1a9" : scene.palette[c])] };
    }
    const values = decode(scene.frames[k]);
    if (scene.kind === "curve") return { z: [values], "line.color": [values] };
    if (!scene.pick) return { intensity: [values] };
    if (!scene.picked) scene.picked = decode(scene.pick);
    return { intensity: [Float32Array.from(scene.picked, (i) => values[i])] };
  }

  function sceneLayout(scene) {
    const now = colours();
    const axis = { visible: false, showspikes: false };
    const [low, high] = scene.limits || [-1, 1];
    const height = scene.kind === "curve"
      ? { visible: true, showspikes: false, title: { text: "log₁₀ ρ" }, color: now.ink,
          gridcolor: now.line, zeroline: false, showbackground: false, range: [low - 0.15, high + 0.15],
          tickvals: scene.ticks }
      : { ...axis, range: [-1.15, 1.15] };
    return {
      margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, uirevision: "kept",
      paper_bgcolor: now.paper, font: { color: now.ink, size: 12 },
      scene: {
        xaxis: { ...axis, range: [-1.15, 1.15] }, yaxis: { ...axis, range: [-1.15, 1.15] },
        zaxis: height, aspectmode: scene.kind === "curve" ? "manual" : "cube",
        aspectratio: { x: 1, y: 1, z: scene.kind === "curve" ? 0.7 : 1 },
        camera: { eye: scene.eye }, dragmode: "orbit", bgcolor: now.paper,
      },
    };
  }

  function setUp(scene) {
    const element = document.getElementById(scene.id);
    const slider = document.getElementById(scene.id + "-time");
    const shown = document.getElementById(scene.id + "-shown");
    const button = document.getElementById(scene.id + "-play");
    const make = { surface: surface, curve: curve, tokens: cloud };
    const traces = [make[scene.kind](scene)];
    if (scene.kind === "curve") traces.push(unitCircle());
    else {
      traces.push(rings());
      traces.push(scene.kind === "tokens" ? graticule(1.0, "#8a939c")
                                          : graticule(1.004 + scene.lift, "rgba(255, 255, 255, 0.2)"));
      if (scene.dots) traces.push(dots());
    }
    const ringed = scene.kind !== "curve";
    let wanted = null, busy = false, timer = null, drawn = false;

    async function step(k) {
      await Plotly.restyle(element, frame(scene, k), [0]);
      if (ringed) {
        await Plotly.restyle(element, circles(scene, k), [1]);
        if (scene.dots) {
          const at = decode(scene.dots[k]).map((v) => RAISED * v);
          await Plotly.restyle(element, { x: [column(at, 0, 3)], y: [column(at, 1, 3)],
                                          z: [column(at, 2, 3)] }, [3]);
        }
      }
      shown.textContent = scene.labels[k];
      slider.setAttribute("aria-valuetext", scene.labels[k]);
      if (drawn) element.dataset.frame = k;
    }

    // The last time that was asked for, however long a step takes.
    async function show(k) {
      wanted = k;
      if (busy || !drawn) return;
      busy = true;
      try {
        while (wanted !== null && drawn) {
          const now = wanted;
          wanted = null;
          await step(now);
        }
      } catch (error) {
        if (drawn) throw error; // else it was cleared meanwhile
      } finally {
        busy = false;
      }
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    }

    function play() {
      if (timer !== null) return stop();
      if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
      else slider.value = Number(slider.value) + 1;
      show(Number(slider.value));
      button.textContent = "Pause";
      timer = setInterval(() => {
        if (busy) return;
        if (Number(slider.value) >= Number(slider.max)) return stop();
        slider.value = Number(slider.value) + 1;
        show(Number(slider.value));
      }, 400);
    }

    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    button.addEventListener("click", play);
    return {
      element: element,
      draw: async () => {
        await Plotly.newPlot(element, traces, sceneLayout(scene), SMALL);
        drawn = true;
        await show(Number(slider.value));
      },
      clear: () => {
        stop();
        drawn = false;
        Plotly.purge(element);
        delete element.dataset.frame;
      },
    };
  }

  // A browser draws in some sixteen places at a time and no more: of many scenes those are drawn
  // that are in sight, and of the others the last ones that were.
  function drawScenes(scenes) {
    const made = scenes.map(setUp);
    const draw = (one) => one.draw().catch((e) => failed(one.element, e));
    if (made.length <= MOST_SCENES) return Promise.all(made.map(draw));
    const drawn = [];
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const one = made.find((other) => other.element === entry.target);
        one.inSight = entry.isIntersecting;
        if (!one.inSight || drawn.includes(one)) continue;
        drawn.push(one);
        draw(one);
      }
      for (const one of drawn.slice()) {
        if (drawn.length <= MOST_SCENES) break;
        if (one.inSight) continue;
        drawn.splice(drawn.indexOf(one), 1);
        one.clear();
      }
    }, { rootMargin: "300px" });
    for (const one of made) watch.observe(one.element);
    return Promise.resolve();
  }

  // ---------------------------------------------------------------- curves

  function chartLayout(chart, logTime) {
    const now = colours();
    const axis = { color: now.faint, gridcolor: now.line, linecolor: now.line, zeroline: false,
                   exponentformat: "power" };
    return {
      margin: { l: 58, r: 12, t: 30, b: 40 }, paper_bgcolor: now.paper, plot_bgcolor: now.paper,
      font: { color: now.ink, size: 11 }, title: { text: chart.title, font: { size: 13 } },
      showlegend: chart.lines.length > 1, hovermode: "x",
      legend: { orientation: "h", y: -0.25 },
      colorway: now.lines,
      xaxis: { ...axis, title: { text: chart.xlabel, standoff: 4 },
               type: logTime ? "log" : "linear" },
      yaxis: { ...axis, type: chart.log ? "log" : "linear", autorange: true,
               ...(chart.steps ? { rangemode: "tozero", dtick: chart.dtick } : {}) },
    };
  }

  function drawChart(chart) {
    const element = document.getElementById(chart.id);
    const traces = chart.lines.map((line) => ({
      type: "scatter", mode: "lines", name: line.name, x: decode(line.x), y: decode(line.y),
      line: { width: 1.8, shape: chart.steps ? "hv" : "linear" },
    }));
    return Plotly.newPlot(element, traces, chartLayout(chart, false), { ...SMALL, displayModeBar: false });
  }

  const switches = Array.from(document.querySelectorAll("input.log-time"));
  const logTime = (chart) => switches.some((s) => s.checked && s.dataset.group === chart.group);

  function restyled() {
    for (const chart of data.charts)
      Plotly.relayout(chart.id, chartLayout(chart, logTime(chart)));
    for (const scene of data.scenes) {
      if (!document.getElementById(scene.id).layout) continue;
      const { paper_bgcolor, font, scene: { bgcolor, zaxis } } = sceneLayout(scene);
      Plotly.relayout(scene.id, { paper_bgcolor, font, "scene.bgcolor": bgcolor,
                                  "scene.zaxis.color": zaxis.color || font.color });
    }
  }

  for (const box of switches) box.addEventListener("change", restyled);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyled);

  const guarded = (draw) => (one) =>
    Promise.resolve().then(() => draw(one)).catch((e) => failed(document.getElementById(one.id), e));
  Promise.all([...data.charts.map(guarded(drawChart)), drawScenes(data.scenes)])
    .then(() => { document.documentElement.dataset.drawn = "true"; });
})();
