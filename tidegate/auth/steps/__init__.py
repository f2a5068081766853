"""Api steps of logins, users and API keys; they ask for the resource `access`."""
