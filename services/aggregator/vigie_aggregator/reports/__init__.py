"""Reports, kept whole and counted once: nodes' telemetry becomes latest values, hours and days.

`consumer` takes records, `storing` is MongoDB. Pure: `reading` judges a record, `counting` is the arithmetic.
"""
