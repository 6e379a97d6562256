"""A report per batch: a table for spreadsheets, a summary for programs, and one page for people."""

from napari_ganseg.report.folder import report_folder, write_report

__all__ = ["report_folder", "write_report"]
