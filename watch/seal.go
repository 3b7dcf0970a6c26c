package watch

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"saldo/auth"
)

// A sealer keeps secrets in records: AES-256-GCM under a key derived from a
// master key, whose number stands before, with what they are for as associated
// data.
//
//	version (1) | number of the master key (4, big endian) | nonce (12) | sealed
type sealer struct {
	current uint32
	aeads   map[uint32]cipher.AEAD
}

const (
	sealVersion = 1
	sealHeader  = 5
	sealNonce   = 12
	sealPurpose = "saldo watch seal v1"
)

var errSealed = errors.New("watch: a secret cannot be opened: the master key that sealed it is not here")

func newSealer(keys auth.MasterKeys) (*sealer, error) {
	s := &sealer{current: keys.Current, aeads: make(map[uint32]cipher.AEAD)}
	for n, master := range keys.Keys {
		key, err := hkdf.Key(sha256.New, master[:], nil, sealPurpose, 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if s.aeads[n], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *sealer) seal(secret, owner string) ([]byte, error) {
	aead := s.aeads[s.current]
	if aead == nil {
		return nil, errSealed
	}
	b := binary.BigEndian.AppendUint32([]byte{sealVersion}, s.current)
	ad := append(b[:sealHeader:sealHeader], owner...)
	b = append(b, make([]byte, sealNonce)...)
	rand.Read(b[sealHeader:])
	return aead.Seal(b, b[sealHeader:], []byte(secret), ad), nil
}

// open returns a secret, and whether it is sealed under an earlier master key.
func (s *sealer) open(b []byte, owner string) (secret string, old bool, err error) {
	if len(b) == 0 {
		return "", false, nil
	}
	if len(b) < sealHeader+sealNonce || b[0] != sealVersion {
		return "", false, errSealed
	}
	n := binary.BigEndian.Uint32(b[1:])
	aead := s.aeads[n]
	if aead == nil {
		return "", false, errSealed
	}
	ad := append(b[:sealHeader:sealHeader], owner...)
	plain, err := aead.Open(nil, b[sealHeader:sealHeader+sealNonce], b[sealHeader+sealNonce:], ad)
	if err != nil {
		return "", false, errSealed
	}
	return string(plain), n != s.current, nil
}
