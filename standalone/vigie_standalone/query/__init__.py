"""`vigie query`: PromQL from the shell."""
