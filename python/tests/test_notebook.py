"""Executes the notebook."""

import pathlib

import nbformat
from nbclient import NotebookClient

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"


def test_the_notebook_runs():
    notebook = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(DOCS)}}).execute()
    outputs = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(outputs) >= 4
