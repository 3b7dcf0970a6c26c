package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A sealer seals secrets with AES-256-GCM under keys derived from the master
// keys. A sealed secret is
//
//	1 (version) · master key's number, 4 bytes, big endian · nonce, 12 · ciphertext · tag, 16
//
// and its associated data are the first 5 bytes and whose it is, so that it
// opens in no other place than where it was put.
type sealer struct {
	current uint32
	aeads   map[uint32]cipher.AEAD
	rand    io.Reader
}

const (
	sealVersion = 1
	sealHeader  = 1 + 4
	nonceSize   = 12

	// What keys are derived for. Other words make other keys.
	forSealing = "saldo seal v1"
	forCheck   = "saldo master key check v1"
	forDigests = "saldo credential digest v1"
)

func derive(master [32]byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, master[:], nil, purpose, 32)
	if err != nil {
		panic(err) // 32 bytes are not too many
	}
	return key
}

func newSealer(keys MasterKeys, rand io.Reader) (*sealer, error) {
	if _, ok := keys.Keys[keys.Current]; !ok {
		return nil, fmt.Errorf("auth: there is no master key %d, which is said to be current", keys.Current)
	}
	s := &sealer{current: keys.Current, aeads: map[uint32]cipher.AEAD{}, rand: rand}
	for n, key := range keys.Keys {
		block, err := aes.NewCipher(derive(key, forSealing))
		if err != nil {
			return nil, err
		}
		if s.aeads[n], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// seal seals a secret of an owner under the current master key.
func (s *sealer) seal(secret, owner []byte) ([]byte, error) {
	blob := binary.BigEndian.AppendUint32([]byte{sealVersion}, s.current)
	ad := append(blob[:sealHeader:sealHeader], owner...)
	blob = append(blob, make([]byte, nonceSize)...)
	if _, err := io.ReadFull(s.rand, blob[sealHeader:]); err != nil {
		return nil, fmt.Errorf("auth: no random numbers: %w", err)
	}
	return s.aeads[s.current].Seal(blob, blob[sealHeader:], secret, ad), nil
}

// open returns what was sealed for an owner.
func (s *sealer) open(blob, owner []byte) ([]byte, error) {
	n, err := sealedUnder(blob)
	if err != nil {
		return nil, err
	}
	aead := s.aeads[n]
	if aead == nil {
		return nil, fmt.Errorf("auth: a secret is sealed under master key %d, which was not given; give it too", n)
	}
	ad := append(blob[:sealHeader:sealHeader], owner...)
	secret, err := aead.Open(nil, blob[sealHeader:sealHeader+nonceSize], blob[sealHeader+nonceSize:], ad)
	if err != nil {
		return nil, fmt.Errorf("auth: a secret does not open with master key %d: it was changed, moved or sealed with another", n)
	}
	return secret, nil
}

// sealedUnder returns the number of the master key that sealed a secret.
func sealedUnder(blob []byte) (uint32, error) {
	if len(blob) < sealHeader+nonceSize || blob[0] != sealVersion {
		return 0, errors.New("auth: a sealed secret is not of a form that this version knows")
	}
	return binary.BigEndian.Uint32(blob[1:]), nil
}

// owner says whose a credential's sealed secret is.
func (c *Credential) owner() []byte {
	b := append(append(make([]byte, 0, 96), "credential"...), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Tenant))
	b = append(b, c.Root[:]...)
	b = append(append(b, c.Dialect...), 0)
	return append(b, c.ID...)
}
