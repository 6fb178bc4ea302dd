"""PromQL over columns of samples: parse once, evaluate all steps of all series together. Pure, and without a clock."""
