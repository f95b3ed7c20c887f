"""The interaction: a measure in, a field out. Knows no mesh and no DOLFINx."""
