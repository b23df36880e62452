//! What must hold for any bytes. The fuzz targets call these functions, and so do the property tests.
