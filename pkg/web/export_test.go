package web

// DecodeBytes lets the fuzz target in without a request.
var DecodeBytes = decode

// OriginAllowed shows the origin rule without a server.
var OriginAllowed = originAllowed

// Cached counts the remembered tokens.
func (v *Verifier) Cached() int {
	v.cache.mu.RLock()
	defer v.cache.mu.RUnlock()
	return len(v.cache.entries)
}
