"""Reading the names of variables from a Zod schema and from an example of a .env file."""

from __future__ import annotations

import pytest

from acceptance import contract
from acceptance.facts.source_keys import example_keys
from acceptance.facts.zod import keys
from rehearsal.services import gitea

SCHEMA = """
import { z } from "zod";
// z.object({ NOT: z.string() }) /* nor { this: */
const blank = z.string().transform((v) => (v === "" ? undefined : v));
const half = 4 / 2 / 1;
export const schema = z.object({
  APP_URL: z.string().url(), // an address: not a key
  'QUOTED': z.string().regex(/^[a-z/{}",']+$/, "a, B: c"),
  PORT: z.coerce.number().default(3000),
  NODE_ENV: z.enum(["development", "production"]),
  NESTED: z.string().pipe(z.object({ inner: z.string(), other: z.number() })),
  blank,
  ...base.shape,
  [computed]: z.string(),
  EMPTY: z.string().default("{ NOT_THIS: "),
  TEMPLATE: z.string().default(`x${1 ? "a" : "b"}: {`),
}).extend({ MORE: z.string().optional() }).superRefine((env, ctx) => {
  if (env.APP_URL) { ctx.addIssue({ code: "custom", path: ["APP_URL"] }); }
});
export const env = schema.parse(process.env);
"""


def test_keys_of_a_zod_object() -> None:
    names = "APP_URL QUOTED PORT NODE_ENV NESTED blank EMPTY TEMPLATE MORE"
    assert keys(SCHEMA) == tuple(names.split())


def test_keys_of_t3_env() -> None:
    text = """export const env = createEnv({
      server: { SMTP_HOST: z.string() }, client: { NEXT_PUBLIC_X: z.string() },
      runtimeEnv: { SMTP_HOST: process.env.SMTP_HOST }, emptyStringAsUndefined: true });"""
    assert keys(text) == ("SMTP_HOST", "NEXT_PUBLIC_X")


@pytest.mark.parametrize(
    "text", ["", "export const env = process.env;", "z.object({", "}}}", "z.object({}) `"]
)
def test_nothing_known_is_nothing(text: str) -> None:
    assert keys(text) == ()


def test_names_of_an_example() -> None:
    text = "# Note: a=b\nA=1\n#B_C=2\n# D=\nexport E = x\n  F=#\n# see HTTP=x\n# Use FOO=bar\nA=2\n"
    assert example_keys(text) == ("A", "B_C", "D", "E", "F")


def test_the_rehearsals_files_name_the_contract() -> None:
    files, names = gitea.files("NEW"), (*contract.of("crm").names, "NEW")
    assert keys(files[gitea.ENV_SCHEMA]) == names
    assert example_keys(files[gitea.ENV_EXAMPLE]) == names
