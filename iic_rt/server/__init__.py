"""The HTTP server: images and masks come in, filled images go out; with a page, and a live view of a camera.

Needs the extra ``server``. ``iic-rt serve`` starts it; :func:`iic_rt.server.app.create_app` is for programs that bring
a server of their own.
"""
