// Calls to the proxy that served this page, as the signed-in user. Addresses are relative: the page may live under a prefix.

import { VIEW } from "./strings.js";

const KEY = "rememberd.key";
const USER = "rememberd.user";
const SPACE = "rememberd.space";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Who signed in at the OpenID provider; `available` says whether this proxy has one.
const nobody = { available: false, user: null, admin: false, csrf_token: null };
let account = nobody;

export const session = {
  get account() {
    return account;
  },
  async load() {
    const response = await fetch("signin/session", { headers: this.headers() }).catch(() => null);
    account = response?.ok ? await response.json() : nobody;
  },
  get key() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  get space() {
    return sessionStorage.getItem(SPACE) ?? "";
  },
  set space(name) {
    if (name) sessionStorage.setItem(SPACE, name);
    else sessionStorage.removeItem(SPACE);
  },
  signIn(key, user) {
    sessionStorage.setItem(KEY, key);
    sessionStorage.setItem(USER, user);
  },
  signOut() {
    sessionStorage.removeItem(KEY);
    sessionStorage.removeItem(USER);
    sessionStorage.removeItem(SPACE);
  },
  headers() {
    const user = sessionStorage.getItem(USER);
    return {
      ...(this.key ? { Authorization: `Bearer ${this.key}` } : account.csrf_token && { "X-CSRF-Token": account.csrf_token }),
      ...(user && { "X-Memory-User": user }),
      ...(this.space && { "X-Memory-Scope": this.space }),
    };
  },
};

// The raw response of a call that succeeded. Throws `ApiError` with the proxy's own words. An unknown key signs out,
// unless the call `asksWho` the key belongs to.
export async function request(path, { headers = {}, asksWho = false, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...session.headers(), ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", VIEW.unreachable);
  }
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (response.status === 401 && !asksWho) window.dispatchEvent(new CustomEvent("signed-out", { detail: failure.message }));
  throw failure;
}

async function failureOf(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return new ApiError(response.status, error.code, error.message);
  } catch {
    return new ApiError(response.status, "", text.slice(0, 300) || `HTTP ${response.status}`);
  }
}

export async function call(method, path, json, headers = {}) {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const kind = json === undefined ? {} : { "Content-Type": "application/json" };
  return (await request(path, { method, ...body, headers: { ...kind, ...headers } })).json();
}

export const get = (path) => call("GET", path);
export const memoryPath = (id) => `v1/memories/${encodeURIComponent(id)}`;
