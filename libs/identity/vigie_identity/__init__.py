"""Who asks, and what they may do: shared by the gateway and the api.

`identity` puts everything together. `permissions` is the table, `principal` is who asks, `anonymous` what those may do
who do not say who they are. `authenticator` turns headers into a principal, with `tokens`, `jwks` and `api_keys` behind
it; `sessions` logs in, refreshes and logs out. `known_tenants` is what every request asks of its tenant, and
`credential_cache` how results are served for seconds. `tenants`, `licences`, `users`, `api_keys` and `audit` keep what
is known, behind `scoped`: no query without a tenant.
"""
