"""The marketplace: packs are signed, versioned data that one tenant trusts by naming the publisher's key.

Law: nothing of a pack is read, shown or rendered before its bytes are bounded, its names are safe and its signature
is a trusted publisher's. Nothing here changes a runtime: what a pack holds reaches one only as a governed command.
"""
