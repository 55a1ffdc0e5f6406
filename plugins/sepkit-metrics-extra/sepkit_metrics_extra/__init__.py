"""logWMSE as a sepkit metric."""

from sepkit import MetricConfig, hookimpl
from sepkit_metrics_extra.log_wmse import LogWMSE


@hookimpl
def sepkit_metrics() -> list[type[MetricConfig]]:
    """One metric: logWMSE."""
    return [LogWMSE]
