"""Settings of the gradient step. Light, so that a command line can describe them without loading torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class WriteSettings:
    """How experts are written."""

    margin: float = 8.0
    """Logit margin over the best wrong token, in nats, that every answer token must reach."""
    learning_rate: float = 0.5
    """Adam's learning rate for the experts' rows."""
    max_steps: int = 300
    """Gradient steps after which a fact counts as not learned."""
    blending: float = 1.0
    """Each step also teaches states moved up to this share of the way to another fact's, as another wording would;
    with the site behind the last layer alone."""
    num_blended: int = 2
    """Blended states of every answer token in a step; all must reach the margin before the fact is learned."""
