"""What is known of a dataset: report, token reports, comparisons, card."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, PlainTextResponse

from slm_datasets.api.dependencies import Registry, Settings
from slm_datasets.schemas import Comparison, ComparisonRequest, Report, TokenReport, TokenReportRequest
from slm_datasets.service import card, examining
from slm_datasets.service.tokenizers import resolve_model
from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.routing import ReadSession, router

routes = router(tags=["datasets"])


@routes.get("/api/datasets/{reference}/report")
async def get_report(reference: str, _: Viewer, session: ReadSession) -> Report:
    """A profile of every column, and the quality of the rows: duplicates, empty rows, languages, personal data."""
    return await examining.get_report(session, reference)


@routes.post("/api/datasets/{reference}/token_reports", status_code=202, response_model=TokenReport)
async def request_token_report(
    reference: str, body: TokenReportRequest, registry: Registry, _: Member, once: Idempotency
) -> JSONResponse:
    """Ask what the rows become in front of a base model; asking the same again gives the same report."""
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    model = await resolve_model(registry, body.model)

    async def work(session: AsyncSession) -> TokenReport:
        return await examining.request_token_report(session, reference, model, max_length=body.max_length)

    return await once(work, of=canonical, status=202, location=_location(reference, "token_reports"))


@routes.get("/api/datasets/{reference}/token_reports")
async def list_token_reports(reference: str, _: Viewer, session: ReadSession, query: PageQuery) -> Page[TokenReport]:
    """Token reports of a dataset, newest first."""
    return await examining.list_examinations(session, reference, TokenReport, query)


@routes.get("/api/datasets/{reference}/token_reports/{report_id}")
async def get_token_report(reference: str, report_id: UUID, _: Viewer, session: ReadSession) -> TokenReport:
    """One token report."""
    return await examining.get_examination(session, reference, TokenReport, report_id)


@routes.post("/api/datasets/{reference}/comparisons", status_code=202, response_model=Comparison)
async def request_comparison(reference: str, body: ComparisonRequest, _: Member, once: Idempotency) -> JSONResponse:
    """Ask how this dataset and another one differ, and which rows they share."""

    async def work(session: AsyncSession) -> Comparison:
        return await examining.request_comparison(session, reference, body.other)

    canonical = body.model_dump_json()
    return await once(work, of=canonical, status=202, location=_location(reference, "comparisons"))


@routes.get("/api/datasets/{reference}/comparisons")
async def list_comparisons(reference: str, _: Viewer, session: ReadSession, query: PageQuery) -> Page[Comparison]:
    """Comparisons of a dataset with others, newest first."""
    return await examining.list_examinations(session, reference, Comparison, query)


@routes.get("/api/datasets/{reference}/comparisons/{comparison_id}")
async def get_comparison(reference: str, comparison_id: UUID, _: Viewer, session: ReadSession) -> Comparison:
    """One comparison."""
    return await examining.get_examination(session, reference, Comparison, comparison_id)


@routes.get("/api/datasets/{reference}/card", response_class=PlainTextResponse)
async def get_dataset_card(reference: str, _: Viewer, session: ReadSession) -> PlainTextResponse:
    """The card of a dataset as markdown with Hugging Face metadata, from facts only."""
    return PlainTextResponse(await card.get_card(session, reference), media_type="text/markdown; charset=utf-8")


@routes.get("/api/datasets/{reference}/croissant")
async def get_croissant(reference: str, settings: Settings, _: Viewer, session: ReadSession) -> dict[str, Any]:
    """A description of a dataset in Croissant 1.0 (JSON-LD)."""
    return await card.get_croissant(session, reference, gateway_url=settings.platform.gateway_url)


def _location(reference: str, collection: str) -> Any:
    return lambda made: f"/api/datasets/{reference}/{collection}/{made.id}"
