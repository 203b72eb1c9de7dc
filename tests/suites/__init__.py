"""Layers of many kinds in the notation, each with an independent reference; other projects' cases as tables."""
