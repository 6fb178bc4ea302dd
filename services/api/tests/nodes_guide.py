"""The answers about nodes as the TelemetryService guide prints them."""

HISTORY = {
    "tenantId": "550e8400-e29b-41d4-a716-446655440000",
    "tenantName": "acme-corp",
    "data": [
        {
            "id": "metric-uuid",
            "uptime": 86400,
            "activeUsers": 42,
            "exercisesCompletedToday": 156,
            "aiLatency": 247.5,
            "version": "1.2.0",
            "additionalData": {"cpuUsage": 45.2},
            "timestamp": "2025-11-24T10:30:00.000Z",
        }
    ],
    "pagination": {"total": 245, "limit": 50, "offset": 0, "hasMore": True},
}
LATEST = {
    "tenantId": "550e8400-e29b-41d4-a716-446655440000",
    "tenantName": "acme-corp",
    "metric": {
        "id": "metric-uuid",
        "uptime": 86400,
        "activeUsers": 42,
        "exercisesCompletedToday": 156,
        "aiLatency": 247.5,
        "version": "1.2.0",
        "timestamp": "2025-11-24T10:30:00.000Z",
    },
}
AGGREGATED = {
    "period": "24h",
    "startDate": "2025-11-23T10:30:00.000Z",
    "endDate": "2025-11-24T10:30:00.000Z",
    "dataPoints": 144,
    "metrics": {
        "avgUptime": 82345,
        "avgActiveUsers": 38.5,
        "avgExercisesPerDay": 142.3,
        "avgAiLatency": 245.7,
        "maxActiveUsers": 67,
        "maxExercises": 234,
        "maxAiLatency": 456.2,
        "minActiveUsers": 12,
        "minExercises": 45,
        "minAiLatency": 156.3,
        "totalExercises": 20491,
    },
    "trend": {"activeUsers": "increasing", "exercises": "stable", "aiLatency": "decreasing"},
}
SUMMARY = {
    "timestamp": "2025-11-24T10:30:00.000Z",
    "tenants": {"total": 42, "active": 38, "inactive": 4, "withRecentData": 35},
    "licenses": {"total": 56, "active": 45, "expired": 8, "expiringSoon": 5},
    "usage": {
        "totalActiveUsers": 1847,
        "totalExercisesCompletedToday": 4532,
        "averageAiLatency": 245.67,
        "totalUptime": 3245678,
    },
    "health": {"healthy": 32, "warning": 3, "critical": 2, "noData": 1},
    "versions": [
        {"version": "1.2.0", "count": 25},
        {"version": "1.1.0", "count": 10},
        {"version": "1.0.0", "count": 3},
    ],
}
TRENDS = {
    "period": "7 days",
    "startDate": "2025-11-17T10:30:00.000Z",
    "endDate": "2025-11-24T10:30:00.000Z",
    "dataPoints": 7,
    "trends": [
        {
            "date": "2025-11-24",
            "avgActiveUsers": 42.5,
            "totalExercises": 1456,
            "avgAiLatency": 245.7,
            "tenantsReporting": 35,
            "uptimePercentage": 99.9,
        },
        {
            "date": "2025-11-23",
            "avgActiveUsers": 38.2,
            "totalExercises": 1342,
            "avgAiLatency": 247.3,
            "tenantsReporting": 34,
            "uptimePercentage": 99.8,
        },
    ],
    "summary": {
        "avgDailyUsers": 38.7,
        "avgDailyExercises": 1342,
        "avgAiLatency": 247.3,
        "peakUsers": 67,
        "peakDate": "2025-11-20",
    },
}
