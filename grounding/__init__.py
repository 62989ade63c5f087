"""What is known about an incident: event log, incidents, knowledge index, evidence packs.

Law: everything retrieved carries an id, a source, a digest and its trust; nothing here judges or acts.
"""
