"""Electricity grids: what a kilowatt hour emits, by region and instant."""
