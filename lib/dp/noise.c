/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <sodium.h>

#include "base/stack.h"
#include "dp/blake2s.h"
#include "dp/noise.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* The symmetric state of a handshake: Noise, section 5.2. */
struct symmetric {
	uint8_t h[32], ck[32];
};

static void mix_hash(struct symmetric *s, const void *data, size_t len)
{
	kwgi_hash(s->h, s->h, sizeof(s->h), data, len);
}

/* Both sides begin with what is fixed and the responder's static key. */
static void begin(struct symmetric *s, const struct kwgi_key *responder)
{
	kwgi_hash(s->ck, construction, sizeof(construction) - 1, NULL, 0);
	kwgi_hash(s->h, s->ck, sizeof(s->ck), identifier, sizeof(identifier) - 1);
	mix_hash(s, responder->b, sizeof(responder->b));
}

static void mix_ephemeral(struct symmetric *s, const uint8_t ephemeral[32])
{
	kwgi_kdf1(s->ck, s->ck, ephemeral, 32);
	mix_hash(s, ephemeral, 32);
}

/*
 * Mixes DH(private, public) into the chaining key, and gives a key of it if
 * one is wanted. False for a result of all zeros: a point of small order.
 */
static bool mix_dh(struct symmetric *s, uint8_t *key, const struct kwgi_key *private_key,
		   const uint8_t public_key[32])
{
	uint8_t dh[32];
	bool ok = !crypto_scalarmult_curve25519(dh, private_key->b, public_key);

	kwgi_stack_wipe(KWGI_STACK_CURVE);
	if (ok && key)
		kwgi_kdf2(s->ck, key, s->ck, dh, sizeof(dh));
	else if (ok)
		kwgi_kdf1(s->ck, s->ck, dh, sizeof(dh));
	sodium_memzero(dh, sizeof(dh));
	return ok;
}

static void mix_psk(struct symmetric *s, uint8_t key[32], const struct kwgi_key *psk)
{
	uint8_t tau[32];

	kwgi_kdf3(s->ck, tau, key, s->ck, psk->b, sizeof(psk->b));
	mix_hash(s, tau, sizeof(tau));
	sodium_memzero(tau, sizeof(tau));
}

/* Every key of a handshake seals one text, so the nonce is always zero. */
static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

static void seal(struct symmetric *s, uint8_t *out, const uint8_t *text, size_t len,
		 const uint8_t key[32])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, text, len, s->h, sizeof(s->h), NULL,
						  zero_nonce, key);
	kwgi_stack_wipe(KWGI_STACK_AEAD);
	mix_hash(s, out, len + KWGI_TAG_LEN);
}

static bool open_text(struct symmetric *s, uint8_t *out, const uint8_t *sealed, size_t len,
		      const uint8_t key[32])
{
	bool ok = !crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, s->h,
							     sizeof(s->h), zero_nonce, key);

	kwgi_stack_wipe(KWGI_STACK_AEAD);
	if (ok)
		mix_hash(s, sealed, len);
	return ok;
}

void kwgi_identity_set(struct kwgi_identity *id, const struct kwgi_key *private_key)
{
	struct kwgi_identity new = { .private_key = *private_key };

	new.set = !kwgi_key_is_zero(private_key);
	if (new.set) {
		kwgi_key_clamp(&new.private_key);
		new.set = !crypto_scalarmult_curve25519_base(new.public_key.b, new.private_key.b);
		kwgi_stack_wipe(KWGI_STACK_CURVE);
	}
	*id = new;
	sodium_memzero(&new, sizeof(new));
}

void kwgi_remote_precompute(struct kwgi_remote *r, const struct kwgi_identity *id)
{
	r->has_static_static = id->set &&
			       !crypto_scalarmult_curve25519(r->static_static.b, id->private_key.b,
							     r->static_public.b);
	kwgi_stack_wipe(KWGI_STACK_CURVE);
	if (!r->has_static_static)
		sodium_memzero(&r->static_static, sizeof(r->static_static));
}

void kwgi_handshake_wipe(struct kwgi_handshake *h)
{
	sodium_memzero(h, sizeof(*h));
}

void kwgi_tai64n(uint8_t out[KWGI_TIMESTAMP_LEN], uint64_t wall_ns)
{
	uint64_t seconds = (UINT64_C(1) << 62) + 10 + wall_ns / KWGI_SECOND;
	uint32_t ns = (uint32_t)(wall_ns % KWGI_SECOND / KWGI_TIMESTAMP_STEP * KWGI_TIMESTAMP_STEP);

	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(seconds >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(ns >> (24 - 8 * i));
}

/* Draws a key pair; false if its public half cannot be computed. */
static bool make_ephemeral(struct kwgi_key *private_key, uint8_t public_key[32],
			   const uint8_t random[32])
{
	bool ok;

	memcpy(private_key->b, random, sizeof(private_key->b));
	kwgi_key_clamp(private_key);
	ok = !crypto_scalarmult_curve25519_base(public_key, private_key->b);
	kwgi_stack_wipe(KWGI_STACK_CURVE);
	return ok;
}

bool kwgi_noise_create_initiation(struct kwgi_initiation *msg, struct kwgi_handshake *h,
				  const struct kwgi_identity *id, const struct kwgi_remote *r,
				  const uint8_t random[32],
				  const uint8_t timestamp[KWGI_TIMESTAMP_LEN])
{
	uint32_t index = h->local_index;
	uint8_t key[32];
	struct symmetric s;
	bool ok = false;

	kwgi_handshake_wipe(h);
	h->local_index = index;
	memset(msg, 0, sizeof(*msg));
	if (!id->set || !r->has_static_static)
		return false;
	kwgi_put32(msg->type, KWGI_MSG_INITIATION);
	kwgi_put32(msg->sender, index);
	begin(&s, &r->static_public);
	if (!make_ephemeral(&h->ephemeral_private, msg->ephemeral, random))
		goto out;
	mix_ephemeral(&s, msg->ephemeral);
	if (!mix_dh(&s, key, &h->ephemeral_private, r->static_public.b))
		goto out;
	seal(&s, msg->encrypted_static, id->public_key.b, sizeof(id->public_key.b), key);
	kwgi_kdf2(s.ck, key, s.ck, r->static_static.b, sizeof(r->static_static.b));
	seal(&s, msg->encrypted_timestamp, timestamp, KWGI_TIMESTAMP_LEN, key);
	memcpy(h->hash, s.h, sizeof(h->hash));
	memcpy(h->chaining_key, s.ck, sizeof(h->chaining_key));
	h->state = KWGI_HANDSHAKE_INITIATION_CREATED;
	ok = true;
out:
	if (!ok) {
		kwgi_handshake_wipe(h);
		h->local_index = index;
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return ok;
}

bool kwgi_noise_open_static(struct kwgi_opened_initiation *o, const struct kwgi_initiation *msg,
			    const struct kwgi_identity *id)
{
	struct symmetric s;
	uint8_t key[32];
	bool ok;

	if (!id->set)
		return false;
	begin(&s, &id->public_key);
	mix_ephemeral(&s, msg->ephemeral);
	ok = mix_dh(&s, key, &id->private_key, msg->ephemeral) &&
	     open_text(&s, o->static_public, msg->encrypted_static, sizeof(msg->encrypted_static),
		       key);
	if (ok) {
		o->remote_index = kwgi_get32(msg->sender);
		memcpy(o->ephemeral, msg->ephemeral, sizeof(o->ephemeral));
		memcpy(o->hash, s.h, sizeof(o->hash));
		memcpy(o->chaining_key, s.ck, sizeof(o->chaining_key));
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return ok;
}

bool kwgi_noise_open_timestamp(struct kwgi_opened_initiation *o, const struct kwgi_initiation *msg,
			       const struct kwgi_remote *r)
{
	struct symmetric s;
	uint8_t key[32];
	bool ok;

	if (!r->has_static_static)
		return false;
	memcpy(s.h, o->hash, sizeof(s.h));
	memcpy(s.ck, o->chaining_key, sizeof(s.ck));
	kwgi_kdf2(s.ck, key, s.ck, r->static_static.b, sizeof(r->static_static.b));
	ok = open_text(&s, o->timestamp, msg->encrypted_timestamp,
		       sizeof(msg->encrypted_timestamp), key);
	if (ok) {
		memcpy(o->hash, s.h, sizeof(o->hash));
		memcpy(o->chaining_key, s.ck, sizeof(o->chaining_key));
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return ok;
}

bool kwgi_noise_create_response(struct kwgi_response *msg, struct kwgi_session_keys *keys,
				const struct kwgi_opened_initiation *o,
				const struct kwgi_remote *r, uint32_t local_index,
				const uint8_t random[32])
{
	struct kwgi_key ephemeral;
	struct symmetric s;
	uint8_t key[32];
	bool ok;

	memset(msg, 0, sizeof(*msg));
	kwgi_put32(msg->type, KWGI_MSG_RESPONSE);
	kwgi_put32(msg->sender, local_index);
	kwgi_put32(msg->receiver, o->remote_index);
	memcpy(s.h, o->hash, sizeof(s.h));
	memcpy(s.ck, o->chaining_key, sizeof(s.ck));
	ok = make_ephemeral(&ephemeral, msg->ephemeral, random);
	if (ok) {
		mix_ephemeral(&s, msg->ephemeral);
		ok = mix_dh(&s, NULL, &ephemeral, o->ephemeral) &&
		     mix_dh(&s, NULL, &ephemeral, r->static_public.b);
	}
	if (ok) {
		mix_psk(&s, key, &r->psk);
		seal(&s, msg->encrypted_nothing, NULL, 0, key);
		kwgi_kdf2(keys->receive.b, keys->send.b, s.ck, NULL, 0);
	}
	sodium_memzero(&ephemeral, sizeof(ephemeral));
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return ok;
}

bool kwgi_noise_consume_response(struct kwgi_session_keys *keys, struct kwgi_handshake *h,
				 const struct kwgi_response *msg,
				 const struct kwgi_identity *id, const struct kwgi_remote *r)
{
	uint8_t key[32], nothing[1];
	struct symmetric s;
	bool ok;

	if (h->state != KWGI_HANDSHAKE_INITIATION_CREATED || !id->set)
		return false;
	memcpy(s.h, h->hash, sizeof(s.h));
	memcpy(s.ck, h->chaining_key, sizeof(s.ck));
	mix_ephemeral(&s, msg->ephemeral);
	ok = mix_dh(&s, NULL, &h->ephemeral_private, msg->ephemeral) &&
	     mix_dh(&s, NULL, &id->private_key, msg->ephemeral);
	if (ok) {
		mix_psk(&s, key, &r->psk);
		ok = open_text(&s, nothing, msg->encrypted_nothing, sizeof(msg->encrypted_nothing),
			       key);
	}
	if (ok) {
		uint32_t local_index = h->local_index;

		kwgi_kdf2(keys->send.b, keys->receive.b, s.ck, NULL, 0);
		kwgi_handshake_wipe(h);
		h->local_index = local_index;
		h->remote_index = kwgi_get32(msg->sender);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return ok;
}
