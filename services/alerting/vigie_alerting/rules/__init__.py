"""What users write about what to watch: read, judged, compiled, shipped, and exchanged with Prometheus."""
