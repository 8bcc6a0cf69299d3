// Secrets that are made in the page, and how an authenticator app is told of a subscriber's.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** Characters of a secret made here: 160 bits, as RFC 4226 recommends, and a multiple of eight, as the server wants. */
const SECRET_LENGTH = 32;

export function newSecret(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(SECRET_LENGTH)), (byte) => ALPHABET[byte % 32]).join("");
}

/** A secret of an application's settings: 48 characters of 5 bits each, more than the 32 bytes that JWTs need. */
export function newSettingSecret(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(48)), (byte) => ALPHABET[byte % 32]).join("");
}

/** The address that authenticator apps read from a QR code. */
export function otpauth({ issuer, account, secret, period }: { issuer: string; account: string; secret: string; period: number }): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  const parameters = new URLSearchParams({ secret: secret.toUpperCase(), issuer, algorithm: "SHA1", digits: "6", period: String(period) });
  return `otpauth://totp/${label}?${parameters.toString().replaceAll("+", "%20")}`;
}
