"""Alerts: rules become conditions, conditions become alerts, alerts reach people."""
