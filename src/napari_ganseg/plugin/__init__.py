"""The viewer's side: the only folder that knows napari, magicgui and Qt."""
