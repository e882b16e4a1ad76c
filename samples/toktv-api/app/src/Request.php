<?php

declare(strict_types=1);

namespace Toktv;

final readonly class Request
{
    /** @param array<string, string> $query */
    public function __construct(
        public string $method,
        public string $path,
        public array $query,
        private string $body,
    ) {
    }

    public static function current(): self
    {
        $body = file_get_contents('php://input') ?: '';

        return self::of($_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI'], $body);
    }

    public static function of(string $method, string $target, string $body = ''): self
    {
        [$path, $query] = explode('?', $target, 2) + ['', ''];
        parse_str($query, $parameters);

        return new self($method, $path, array_filter($parameters, is_string(...)), $body);
    }

    /**
     * The JSON object in the body.
     *
     * @return array<string, mixed>
     * @throws Refusal if the body is not a JSON object
     */
    public function json(): array
    {
        $found = json_decode($this->body, associative: true, depth: 8);
        if (!is_array($found) || array_is_list($found)) {
            throw new Refusal(400, 'the body must be a JSON object');
        }

        return $found;
    }
}
