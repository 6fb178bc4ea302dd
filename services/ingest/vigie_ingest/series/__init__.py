"""From what senders write to fingerprints that are in the catalogue."""
