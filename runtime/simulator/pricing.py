"""Prices, power and carbon of what runs.

Prices: public Azure list prices, West Europe, Linux, pay as you go, as of 2025, rounded to the cent. Power: the Cloud
Carbon Footprint methodology (Azure coefficients per vCPU, PUE 1.185). Carbon = energy x grid intensity, the operational
part of the Software Carbon Intensity standard (ISO/IEC 21031:2024).
"""

from dataclasses import dataclass

# Watts per vCPU at idle and at full load, averages for Azure (Cloud Carbon Footprint methodology).
IDLE_W_PER_CORE, FULL_W_PER_CORE = 0.78, 3.76
# Power usage effectiveness of Azure data centres (same source).
PUE = 1.185


@dataclass(frozen=True, slots=True)
class Sku:
    """A machine type."""

    name: str
    cores: float
    memory_mib: int
    cost_usd_per_hour: float


_SKU_ROWS: tuple[Sku, ...] = (
    Sku("D4s_v5", 4.0, 16_384, 0.23),
    Sku("D8s_v5", 8.0, 32_768, 0.46),
    Sku("D16s_v5", 16.0, 65_536, 0.92),
    Sku("E8s_v5", 8.0, 65_536, 0.61),
    Sku("F8s_v2", 8.0, 16_384, 0.41),
    Sku("E4s_v5", 4.0, 32_768, 0.30),
    Sku("E16s_v5", 16.0, 131_072, 1.22),
    Sku("D4as_v5", 4.0, 16_384, 0.21),
    Sku("D8as_v5", 8.0, 32_768, 0.42),
    Sku("NC4as_T4_v3", 4.0, 28_672, 0.64),
    Sku("NC8as_T4_v3", 8.0, 57_344, 0.92),
)
SKUS: dict[str, Sku] = {sku.name: sku for sku in _SKU_ROWS}


def cost_usd_per_core_hour(sku: Sku) -> float:
    """What one requested core costs when the node is shared out by CPU requests."""
    return sku.cost_usd_per_hour / sku.cores


def carbon_g_per_hour(requested_cores: float, used_cores: float, grid_gco2e_per_kwh: float) -> float:
    """gCO2e per hour: linear power between idle and full load, times PUE, times grid intensity."""
    watts = requested_cores * IDLE_W_PER_CORE + used_cores * (FULL_W_PER_CORE - IDLE_W_PER_CORE)
    return watts * PUE / 1000.0 * grid_gco2e_per_kwh
