"""The catalogue of series: `document` (its shape), `writer` (registers), `catalogue` (reads), `filter`, `placement`."""
