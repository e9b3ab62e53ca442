"""Settings of the registry; environment prefix `SLM_REGISTRY_`."""

import importlib.util
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from slm_registry.domain.promotion import Policy
from slm_shared import metrics
from slm_shared.settings import SECRETS_DIR, ServiceSettings


def packaged_models() -> Path:
    """The models that ship with the platform, found without importing their package."""
    spec = importlib.util.find_spec("slm_ml")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package slm_ml is not installed; set SLM_REGISTRY_BUILTIN_DIR")
    return Path(spec.origin).parent / "builtin"


class RegistrySettings(ServiceSettings):
    """`builtin_dir` holds a folder per base model, named `<family>-v<n>`, that is registered at the first start.

    `openlineage` is a transport of the OpenLineage client as JSON, e.g. `{"type": "http", "url": "http://host:5000"}`;
    without one nothing is emitted. `max_upload_bytes` limits an uploaded model, packed and unpacked.

    A model becomes `champion` when `promotion_metric` is better than the champion's (or the base's) by
    `promotion_min_delta` on every dataset that both were measured on, no regression was found, and its files verify.
    """

    model_config = SettingsConfigDict(env_prefix="SLM_REGISTRY_", frozen=True, extra="ignore", secrets_dir=SECRETS_DIR)

    port: int = Field(18003, ge=0, le=65535)
    database_name: str = "slm_registry"
    builtin_dir: Path = Field(default_factory=packaged_models)
    promotion_metric: Annotated[str, AfterValidator(metrics.known)] = "quality_score"
    promotion_min_delta: float = 0.0
    promotion_forbid_regressions: bool = True
    max_upload_bytes: int = Field(16 * 1024**3, ge=1)
    openlineage: dict[str, Any] | None = None

    @property
    def promotion_policy(self) -> Policy:
        """When a model may become champion."""
        return Policy(self.promotion_metric, self.promotion_min_delta, self.promotion_forbid_regressions)
