"""How far each stage of a run is."""
