"""What is known of a dataset: report, token reports, comparisons, card."""

from typing import Any
from uuid import UUID

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, PlainTextResponse

from slm_datasets.domain.states import JobKind
from slm_datasets.schemas import Comparison, ComparisonRequest, Report, TokenReport, TokenReportRequest
from slm_datasets.service import card, examining, reading
from slm_datasets.service.tokenizers import resolve_model
from slm_datasets.settings import DatasetsSettings
from slm_datasets.store import jobs
from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.paging import Page, PageQuery, page_of
from slm_shared.http.provided import given
from slm_shared.http.routing import ReadSession, router
from slm_shared.peers import Peer

routes = router(tags=["datasets"])


@routes.get("/api/datasets/{reference}/report")
async def get_report(reference: str, _: Viewer, session: ReadSession) -> Report:
    """A profile of every column, and the quality of the rows: duplicates, empty rows, languages, personal data."""
    return await examining.get_report(session, reference)


@routes.post("/api/datasets/{reference}/token_reports", status_code=202, response_model=TokenReport)
async def request_token_report(
    reference: str, body: TokenReportRequest, request: Request, _: Member, once: Idempotency
) -> JSONResponse:
    """Ask what the rows become in front of a base model; asking the same again gives the same report."""
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    model = await resolve_model(given(request.app, Peer), body.model)

    async def work(session: AsyncSession) -> TokenReport:
        return await examining.request_token_report(session, reference, model, max_length=body.max_length)

    return await once(work, of=canonical, status=202, location=_location(reference, "token_reports"))


@routes.get("/api/datasets/{reference}/token_reports")
async def list_token_reports(reference: str, _: Viewer, session: ReadSession, query: PageQuery) -> Page[TokenReport]:
    """Token reports of a dataset, newest first."""
    dataset = await reading.get_dataset(session, reference)
    found = await jobs.list_jobs(session, query, dataset.id, JobKind.TOKENS)
    return page_of(found, query, key=lambda row: (row.created_at, row.id), show=examining.token_report_of)


@routes.get("/api/datasets/{reference}/token_reports/{report_id}")
async def get_token_report(reference: str, report_id: UUID, _: Viewer, session: ReadSession) -> TokenReport:
    """One token report."""
    return examining.token_report_of(await examining.get_job(session, reference, JobKind.TOKENS, report_id))


@routes.post("/api/datasets/{reference}/comparisons", status_code=202, response_model=Comparison)
async def request_comparison(reference: str, body: ComparisonRequest, _: Member, once: Idempotency) -> JSONResponse:
    """Ask how this dataset and another one differ, and which rows stand in both."""

    async def work(session: AsyncSession) -> Comparison:
        return await examining.request_comparison(session, reference, body.other)

    canonical = body.model_dump_json()
    return await once(work, of=canonical, status=202, location=_location(reference, "comparisons"))


@routes.get("/api/datasets/{reference}/comparisons")
async def list_comparisons(reference: str, _: Viewer, session: ReadSession, query: PageQuery) -> Page[Comparison]:
    """Comparisons of a dataset with others, newest first."""
    dataset = await reading.get_dataset(session, reference)
    found = await jobs.list_jobs(session, query, dataset.id, JobKind.COMPARISON)
    return page_of(found, query, key=lambda row: (row.created_at, row.id), show=examining.comparison_of)


@routes.get("/api/datasets/{reference}/comparisons/{comparison_id}")
async def get_comparison(reference: str, comparison_id: UUID, _: Viewer, session: ReadSession) -> Comparison:
    """One comparison."""
    return examining.comparison_of(await examining.get_job(session, reference, JobKind.COMPARISON, comparison_id))


@routes.get("/api/datasets/{reference}/card", response_class=PlainTextResponse)
async def get_dataset_card(reference: str, _: Viewer, session: ReadSession) -> PlainTextResponse:
    """The card of a dataset as markdown with Hugging Face metadata, from facts only."""
    report = await examining.get_report(session, reference)
    dataset = await reading.get_processed(session, reference)
    return PlainTextResponse(card.render(dataset, report), media_type="text/markdown; charset=utf-8")


@routes.get("/api/datasets/{reference}/croissant")
async def get_croissant(reference: str, request: Request, _: Viewer, session: ReadSession) -> dict[str, Any]:
    """A description of a dataset in Croissant 1.0 (JSON-LD)."""
    dataset = await reading.get_processed(session, reference)
    base = given(request.app, DatasetsSettings).platform.gateway_url
    return card.croissant(dataset, url=f"{base.rstrip('/')}/api/datasets/{dataset.id}")


def _location(reference: str, collection: str) -> Any:
    return lambda made: f"/api/datasets/{reference}/{collection}/{made.id}"
