'use strict';

// A function without dependencies: it greets whoever asks in the language that was asked for, and says what it has been sent.
const GREETINGS = { en: 'Hello', fr: 'Bonjour', de: 'Guten Tag', es: 'Hola', it: 'Buongiorno' };

function languageOf(event) {
  const header = (event.headers && event.headers['Accept-Language']) || 'en';
  const wanted = header.split(',')[0].trim().slice(0, 2).toLowerCase();
  return GREETINGS[wanted] ? wanted : 'en';
}

exports.handle = async (event) => {
  const language = languageOf(event);
  const name = (event.queryStringParameters && event.queryStringParameters.name) || 'world';
  const body = { message: `${GREETINGS[language]}, ${name}`, method: event.httpMethod, path: event.path };
  return {
    statusCode: 200,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  };
};
