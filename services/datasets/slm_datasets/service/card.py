"""Cards of datasets: markdown with the metadata that the Hugging Face Hub reads, and Croissant JSON-LD.

https://huggingface.co/docs/hub/datasets-cards, https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.rows import COLUMNS, IMAGES
from slm_datasets.schemas import Report
from slm_datasets.service import examining, reading
from slm_datasets.tables import DatasetRow

# The size categories of the Hub.
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


async def get_card(session: AsyncSession, reference: str) -> str:
    """The card of a processed dataset, as markdown. Raises DatasetNotFoundError and DatasetNotReadyError."""
    report = await examining.get_report(session, reference)
    return _rendered(await reading.get_processed(session, reference), report)


def _rendered(dataset: DatasetRow, report: Report) -> str:
    """The card. JSON is YAML, so that no name or description can break out of its value."""
    metadata = {
        "pretty_name": dataset.name,
        "size_categories": [_size(dataset.rows or 0)],
        "task_categories": _tasks(dataset.row_format or ""),
        "language": _languages(report),
        "tags": [dataset.usage, dataset.origin, dataset.row_format],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": f"{dataset.name}.parquet"}]}],
    }
    head = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in metadata.items() if value)
    sections = [
        f"---\n{head}\n---",
        f"# {dataset.name}",
        _quoted(dataset.description),
        _facts(dataset),
        _columns(report),
    ]
    return "\n\n".join(section for section in [*sections, _quality(report)] if section) + "\n"


def _size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>1M")


def _tasks(row_format: str) -> list[str]:
    return {COLUMNS: ["tabular-classification"], IMAGES: ["image-classification"]}.get(row_format, ["text-generation"])


def _languages(report: Report) -> list[str]:
    """Languages of at least a twentieth of the rows that were looked at."""
    if not report.quality:
        return []
    least = report.quality["sampled_rows"] / 20
    found = report.quality["languages"]
    return [each["language"] for each in found if each["rows"] >= least and each["language"] != "und"]


def _quoted(text: str | None) -> str:
    return "\n".join(f"> {_escaped(line)}" for line in (text or "").splitlines())


def _facts(dataset: DatasetRow) -> str:
    parents = ", ".join(each["name"] for each in dataset.parents)
    reads = ", ".join(f"{name} = {column}" for name, column in dataset.mapping.items())
    facts = {
        "Rows": dataset.rows,
        "Rows left out": dataset.skipped_rows or None,
        "Row format": dataset.row_format,
        "Layout as uploaded": dataset.source_format,
        "Columns read as": reads or None,
        "Usage": dataset.usage,
        "Origin": dataset.origin,
        "Made from": parents or None,
        "Owner": dataset.owner,
        "Uploaded file": f"{dataset.file_name} ({dataset.size_bytes} bytes)",
        "SHA-256 of the file": dataset.sha256,
        "SHA-256 of the Parquet": dataset.canonical_sha256,
        "Added": dataset.created_at.isoformat(timespec="seconds"),
    }
    lines = [f"| {name} | {_escaped(str(value))} |" for name, value in facts.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])


def _columns(report: Report) -> str:
    lines = [
        f"| {_escaped(str(each['name']))} | {_escaped(str(each['type']))} | {each.get('nulls', '')} "
        f"| {each.get('distinct', '')} | {each.get('mean_length', each.get('mean', ''))} |"
        for each in report.profile
    ]
    head = ["## Columns", "", "| Column | Type | Empty | Distinct | Mean length or value |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines])


def _quality(report: Report) -> str:
    found = report.quality
    if not found:
        return ""
    personal = ", ".join(f"{each['rows']} with {kind}" for kind, each in found["personal_data"].items())
    lines = [
        f"- Exact duplicates: {found['duplicates']['rows']} of {found['rows']} rows",
        f"- Near duplicates: {found['near_duplicates']['rows']} of {found['sampled_rows']} rows looked at",
        f"- Empty rows: {found['empty_rows']}; rows with an empty answer: {found['empty_answers']}",
        f"- What looks like personal data: {personal or 'nothing found'}{_looked(found)}",
    ]
    return "\n".join(["## Quality", "", *lines])


def _looked(found: dict[str, Any]) -> str:
    """What looked for personal data, and at how much."""
    scan = found.get("personal_data_scan")
    return f", in {scan['rows']} rows looked at by {scan['detector']} {scan['version']}" if scan else ""


def _escaped(text: str) -> str:
    """Text that stays text inside a table cell of markdown."""
    safe = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return safe.replace("[", "\\[").replace("`", "\\`")


async def get_croissant(session: AsyncSession, reference: str, *, gateway_url: str) -> dict[str, Any]:
    """A processed dataset in Croissant 1.0, its Parquet as the one file and its columns as fields.

    Raises DatasetNotFoundError and DatasetNotReadyError.
    """
    dataset = await reading.get_processed(session, reference)
    url = f"{gateway_url.rstrip('/')}/api/datasets/{dataset.id}"
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": dataset.name,
        "description": dataset.description or f"{dataset.rows} rows of the format {dataset.row_format}.",
        "version": f"{dataset.version}.0.0",
        "url": url,
        "datePublished": dataset.created_at.date().isoformat(),
        "creator": {"@type": "sc:Person", "name": dataset.owner},
        "isBasedOn": [each["name"] for each in dataset.parents],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "rows.parquet",
                "name": "rows.parquet",
                "contentUrl": f"{url}/download?format=parquet",
                "contentSize": f"{dataset.canonical_size_bytes} B",
                "encodingFormat": "application/x-parquet",
                "sha256": dataset.canonical_sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "field": [_field(each) for each in dataset.columns],
            }
        ],
    }


def _field(column: dict[str, str]) -> dict[str, Any]:
    name, kind = column["name"], column["type"]
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"rows/{name}",
        "name": name,
        "dataType": _data_type(name, kind),
        "source": {"fileObject": {"@id": "rows.parquet"}, "extract": {"column": name}},
    }
    return {**found, "repeated": True} if kind.startswith("List") else found


def _data_type(name: str, kind: str) -> str:
    if name == "image" and kind.startswith("Struct"):
        return "sc:ImageObject"
    for prefix, data_type in (
        ("Int", "sc:Integer"),
        ("UInt", "sc:Integer"),
        ("Float", "sc:Float"),
        ("Bool", "sc:Boolean"),
    ):
        if kind.startswith(prefix):
            return data_type
    return "sc:Date" if kind.startswith("Date") else "sc:Text"
