"""The verb doctor: whether a site has what jobs will need, before any of them is started."""
