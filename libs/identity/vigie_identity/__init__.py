"""Who asks, and what they may do: shared by the gateway and the api.

`permissions` is the table, `principal` is who asks, `anonymous` what those may do who do not say who they are.
"""
