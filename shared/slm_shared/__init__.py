"""Contracts and plumbing of every service: settings, errors, events, delivery, web edge, objects.

Owns the event catalogue (`events`) and the delivery of events (`outbox`, `inbox`, `bus`, `topology`), leases of long
work (`leases`), the web edge (`web`, `principal`, `peers`, `paging`) and the object store (`objects`, `manifest`).
Imports no service and nothing of the torch side.
"""
