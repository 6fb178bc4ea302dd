"""The routes of the query API, the forms they take and the shape of their errors."""
