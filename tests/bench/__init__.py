"""`make bench`: what one sample costs, stage by stage, beside Prometheus and VictoriaMetrics in the same run.

The machine is noisy: read the ratios, not the times. Every row says its density and whether the sums were exact.
"""
