// Takes the private file system away, as private windows of some browsers do.
StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('not here', 'SecurityError'));
