"""From what senders write, or Vigie derives, to fingerprints that are in the catalogue."""
