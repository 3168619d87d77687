"""Webhook: one signed POST."""
