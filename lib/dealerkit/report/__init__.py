"""Pages: texts in the report's language, parts of a page, the leak gate, and the rendering of notebooks to HTML."""
