"""/stats: hosts, sites and services in the words of the replaced server supervision."""
