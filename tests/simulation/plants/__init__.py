"""Bugs, each of which the simulation must find. A bug is a function that plants it, named for what goes wrong."""

from tests.simulation.plants import file_store, generator, keeper, lease_store, starts
from tests.simulation.plants.registry import ALL, PlantedBug

__all__ = ["ALL", "PlantedBug", "file_store", "generator", "keeper", "lease_store", "starts"]
