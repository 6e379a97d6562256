"""Batch: every scan of a folder becomes labels beside a record, one bad case is a result; torch comes on first need."""

from napari_ganseg.batch.folder import segment_folder
from napari_ganseg.batch.options import BatchOptions
from napari_ganseg.batch.result import CaseResult, exit_code

__all__ = ["BatchOptions", "CaseResult", "exit_code", "segment_folder"]
