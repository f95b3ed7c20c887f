"""Studies made of many runs: particles against a density, one finished run against another."""
