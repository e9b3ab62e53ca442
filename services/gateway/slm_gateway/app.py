"""The composition root of the gateway."""

from fastapi import FastAPI

from slm_gateway.api import docs, routes
from slm_gateway.api.forwarding import Forwarder
from slm_gateway.api.front import AUDIENCE, Front
from slm_gateway.service.documents import ApiDescription
from slm_gateway.service.live_feed import LiveFeed
from slm_gateway.service.upstreams import Upstreams
from slm_gateway.settings import GatewaySettings
from slm_shared.delivery.broker import Broker
from slm_shared.http import app as web

DESCRIPTION = """Turn data into small language models: upload a dataset, launch a run, watch the experiment, get a
registered and evaluated model. Errors are `application/problem+json` with a stable `code`."""


def create_app(settings: GatewaySettings) -> FastAPI:
    """Assemble the gateway: its own endpoints behind the front that forwards everything else."""
    upstreams = Upstreams(settings)
    broker = Broker(settings.platform.nats_url, name=AUDIENCE)
    app = web.create_app(
        service=AUDIENCE,
        title="SLM Platform",
        description=DESCRIPTION,
        settings=settings,
        database=None,
        routers=[routes.routes, docs.routes],
        closers=[upstreams.close, broker.close],
        provides=[upstreams, ApiDescription(upstreams), LiveFeed(broker, max_readers=settings.max_live_readers)],
    )
    # In front of everything the framework adds, the limit on body sizes included: what is forwarded is a stream.
    app.middleware_stack = Front(
        app.build_middleware_stack(), forwarder=Forwarder(upstreams), upstreams=upstreams, settings=settings
    )
    return app
