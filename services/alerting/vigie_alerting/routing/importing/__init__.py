"""Configuration files of Alertmanager: what of them Vigie takes, and what it does not."""
