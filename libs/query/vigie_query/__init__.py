"""Questions over series, pure: which series, which windows, which numbers. No I/O, no HTTP."""
