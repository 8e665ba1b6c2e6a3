// TypeScript without a build step: node strips the types. An ES module that waits at its top.
import { randomUUID } from "node:crypto";

interface Event {
  httpMethod: string;
  queryStringParameters: Record<string, string>;
}

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

const started: string = await Promise.resolve(randomUUID());

export const sum = async (event: Event): Promise<Answer> => {
  const numbers = Object.values(event.queryStringParameters).map(Number);
  const total = numbers.reduce((left, right) => left + right, 0);
  return {
    statusCode: Number.isNaN(total) ? 400 : 200,
    headers: { "Content-Type": "application/json", "X-Started": started.length === 36 ? "yes" : "no" },
    body: JSON.stringify({ total }),
  };
};
